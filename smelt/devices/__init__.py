"""RUN: the least that a microcontroller offers, and the simulated boards that offer it too."""
