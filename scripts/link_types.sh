#!/usr/bin/env bash
# Type checkers and import-linter do not know package-dir mappings: give them links that look like the installed package.
set -eu
cd "$(dirname "$0")/.."
mkdir -p build/types/llm_holes
for folder in engine lessons tui; do ln -sfn "../../../$folder" "build/types/llm_holes/$folder"; done
