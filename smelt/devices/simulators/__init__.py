"""Simulated boards: `simulator.Simulator(board).run(image, inputs)`."""
