"""One thread per numerical library: tests run side by side, and threads that spin for work slow each other tenfold.
Tests that ask for more threads let them sleep while they wait, for the same reason: by default OpenMP's spin."""

import os

for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(name, "1")
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
