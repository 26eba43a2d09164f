"""A process that wants one gradient of SIGReg at (512, 128, 1024): `python first_gradient.py OPTIONS`.

Prints, as JSON, the monotonic clock at its first line, after `import torch`, after the import of SIGReg, and when the
gradient is there. OPTIONS is JSON, handed to SIGReg.
"""

import json
import sys
import time


def main() -> None:
    """Import, compute, print."""
    marks = [time.monotonic()]
    import torch

    marks.append(time.monotonic())
    from lejepa_core.sigreg import SIGReg

    marks.append(time.monotonic())
    torch.set_num_threads(1)
    z_ND = torch.randn(512, 128, requires_grad=True)
    value = SIGReg(slices=1024, **json.loads(sys.argv[1]))(z_ND, step=0)
    torch.autograd.grad(value, z_ND)
    marks.append(time.monotonic())
    print(json.dumps(marks))


if __name__ == "__main__":
    main()
