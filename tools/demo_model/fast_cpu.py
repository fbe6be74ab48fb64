"""Settings of the process that make Debian's torch several times faster on a CPU; they must stand before torch is loaded.

OpenBLAS 0.3.21 does not know newer processors and falls back to slow kernels; glibc gives large blocks back to the kernel and
faults them in again at every step; OpenMP's threads spin where they should wait, which costs most where others use the machine.
"""

import os
import pathlib
import sys


def kernels_of(flags):
    return "SKYLAKEX" if "avx512f" in flags and "avx512vl" in flags else "HASWELL" if "avx2" in flags else None


def restart_with_settings():
    """Runs this program again with the settings, once."""
    wanted = {"MALLOC_MMAP_THRESHOLD_": str(1 << 32), "MALLOC_TRIM_THRESHOLD_": str(1 << 34), "MALLOC_TOP_PAD_": str(1 << 28),
              "OMP_WAIT_POLICY": "passive"}
    cpu = pathlib.Path("/proc/cpuinfo")
    kernels = kernels_of(set(cpu.read_text().split())) if cpu.exists() else None
    if kernels:
        wanted["OPENBLAS_CORETYPE"] = kernels
    missing = {name: value for name, value in wanted.items() if name not in os.environ}
    if missing:
        os.execve(sys.executable, [sys.executable, *sys.argv], os.environ | missing)


def import_torch():
    try:
        import torch
    except ImportError:
        sys.exit(f"{sys.argv[0]}: {sys.executable} has no torch.\nInstall it: apt-get install --no-install-recommends python3-torch "
                 "python3-numpy libopenblas0-pthread, and start this with /usr/bin/python3")
    return torch
