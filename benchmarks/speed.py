"""Run speed benchmarks and put what they print into docs/SPEED.md.

python benchmarks/speed.py [SCRIPT ...]      (all of them, or those named; the others keep what they printed last)
"""

import subprocess
import sys
from pathlib import Path

BEGIN, END = "<!-- speed:begin -->", "<!-- speed:end -->"
SCRIPTS = (
    "commands.py",
    "prepare.py",
    "features.py",
    "input_pipeline.py",
    "fine_tuning.py",
    "assessment.py",
    "stats_speed.py",
    "predict.py",
)
_COMMAND = "$ python benchmarks/"


def main() -> None:
    here = Path(__file__).parent
    page = here.parent / "docs" / "SPEED.md"
    before, _, rest = page.read_text(encoding="utf-8").partition(BEGIN)
    block, _, after = rest.partition(END)
    printed = {}
    for part in block.replace("```", "").split(_COMMAND)[1:]:
        script, _, output = part.partition("\n")
        printed[script.strip()] = output.strip("\n")
    for script in sys.argv[1:] or SCRIPTS:
        print(f"running {script} ...", file=sys.stderr, flush=True)
        done = subprocess.run([sys.executable, here / script], stdout=subprocess.PIPE, text=True, check=True)
        printed[script] = done.stdout.rstrip()
        blocks = [f"{_COMMAND}{name}\n{printed[name]}" for name in SCRIPTS if name in printed]
        block = "\n```\n" + "\n\n".join(blocks) + "\n```\n"
        page.write_text(f"{before}{BEGIN}{block}{END}{after}", encoding="utf-8", newline="\n")


if __name__ == "__main__":
    main()
