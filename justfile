# What one does here, by name. `just` comes into .venv with the test tools: `.venv/bin/just test`.

set positional-arguments

in_parallel := "-n auto --maxprocesses 4 --dist worksteal"

[private]
default:
    @{{ quote(just_executable()) }} --list --unsorted

# make .venv, install this folder and all tools into it, make the links that type checkers and editors follow
setup:
    test -x .venv/bin/python || python3 -m venv .venv
    .venv/bin/pip install --quiet -c constraints.txt -e '.[test]'
    scripts/link_types.sh

# all tests, about ten minutes on two cores
test *ARGS:
    .venv/bin/pytest {{ in_parallel }} "$@"

# what needs no model, no torch, no app and no terminal and is quick
unit *ARGS:
    .venv/bin/pytest -m 'not model and not torch and not app and not slow and not wall_clock' {{ in_parallel }} "$@"

# the tests of one file
one FILE *ARGS:
    .venv/bin/pytest "$@"

# what has to be quick on this machine's clock, which should have nothing else to do
clock *ARGS:
    .venv/bin/pytest -m wall_clock "$@"

# the tests that make up their cases, with many more of them: 2,000 for each kind, 200 streams of bytes, 20,000 keys
soak *ARGS:
    LLM_HOLES_EXAMPLES=2000 .venv/bin/pytest --timeout=0 {{ in_parallel }} \
        tests/engine/tokenizer/test_as_transformers.py tests/engine/checkpoint/test_damaged_models.py \
        tests/e2e/test_bytes.py tests/tui/terminal/test_canvas.py tests/e2e/test_slow_line.py \
        tests/e2e/test_what_is_sent.py tests/e2e/test_slow_ssh.py tests/e2e/test_classroom.py \
        tests/e2e/test_long_use.py tests/e2e/test_extremes.py tests/lessons/shared/test_passes.py \
        tests/lessons/test_elsewhere.py tests/engine/backends/test_faulty_servers.py \
        tests/lessons/test_served.py tests/lessons/game/test_solver.py "$@"

# style and format
lint:
    .venv/bin/ruff check .
    .venv/bin/ruff format --check .

# all that is checked without running a test: style, types, imports, lessons
check: lint
    scripts/link_types.sh
    .venv/bin/mypy -p llm_holes
    PYRIGHT_PYTHON_IGNORE_WARNINGS=1 .venv/bin/pyright --pythonpath .venv/bin/python
    cd build/types && ../../.venv/bin/lint-imports ../../pyproject.toml --no-cache
    .venv/bin/llm-holes check

# draw every picture again; differences are in snapshot_report.html, and --snapshot-update accepts them
snapshots *ARGS:
    .venv/bin/pytest -m snapshot {{ in_parallel }} "$@"

# record the frames the pictures are drawn from, of these lessons or of all, on the real model
record *LESSONS:
    .venv/bin/python scripts/record_frames.py "$@"

# run benchmarks/NAME.py
bench NAME *ARGS:
    shift && .venv/bin/python benchmarks/{{ NAME }}.py "$@"
