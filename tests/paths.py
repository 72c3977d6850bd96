"""Where tests find the big models and inputs: `shared` lies beside the repository."""

from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
SHARED = ROOT.parent / "shared"
MODELS = SHARED / "models"
INPUTS = SHARED / "inputs"
