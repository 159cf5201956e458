#!/usr/bin/env bash
# What a GPU makes of it, in ten minutes: the CUDA path against the CPU's, then the coordinate network (small) and the
# paper's (paper size) for all meshes of a folder, trained at once on rendered frames (true poses), estimated and scored.
#
#   bash benchmarks/gpu.sh OUT MODELS [REAL]     MODELS: obj_NNNNNN.ply; REAL: a data set with a test split
#
# Environment: PYTHON (python), FRAMES (1800) rendered to train on, MINUTES (4) of training, BATCH (256); ANNOTATE=1 also
# times annotation by 1, 2, 4 and 8 workers. Prints JSON lines and tables; everything is kept in OUT. A step that fails
# is named, the others still run.
set -uo pipefail
out=${1:?usage: gpu.sh OUT MODELS [REAL]} models=${2:?usage: gpu.sh OUT MODELS [REAL]} real=${3:-}
python=${PYTHON:-python} here=$(cd "$(dirname "$0")" && pwd)
selfpose6d="$python -m selfpose6d"
mkdir -p "$out"
failed=0
step() {  # NAME COMMAND...: run, keep the output, say how long it took
    local name=$1 start=$SECONDS
    shift
    "$@" >"$out/$name.log" 2>&1 || { failed=1; echo "$name FAILED"; }
    tail -n 25 "$out/$name.log"
    echo "$name: $((SECONDS - start)) s"
}
train() {  # NAME ARCHITECTURE SIZE RATE: about 100 ms a step of up to 512 instances, which launching kernels takes
    step "train-$1" $selfpose6d train "$out/data" --recipe synthetic --architecture "$2" --size "$3" --learning-rate "$4" \
        --batch "${BATCH:-256}" --max-minutes "${MINUTES:-4}" --device cuda --cache "$out/crops-$3" --out "$out/$1"
}
score() {  # NETWORK DATA REFINE
    local name
    name=$1-$(basename "$2")-$3
    step "estimate-$name" $selfpose6d estimate "$out/$1" "$2" --split test --refine "$3" --device cuda --out "$out/$name"
    step "evaluate-$name" $selfpose6d evaluate "$out/$name" "$2" --split test
}
step gpu nvidia-smi --query-gpu=name,memory.total,driver_version --format=csv,noheader
step render $selfpose6d synth "$out/data" --models "$models" --frames "${FRAMES:-1800}" --seed 61 --sensor mixed --masks mixed
step render-tests $selfpose6d synth "$out/tests" --models "$models" --frames 8 --test-frames 160 --seed 63
step agreement "$python" "$here/device_agreement.py" "${real:-$out/tests}" --device cuda --json
if [ -n "${ANNOTATE:-}" ]; then
    for workers in 1 2 4 8; do  # instances under way at once: the rate must grow while the device waits for launches
        step "annotate-$workers" $selfpose6d annotate "$out/tests" --split test --limit 16 --device cuda \
            --workers $workers --overlays 0 --out "$out/annotate-$workers"
    done
fi
train coordinates coordinates small 0.0025 &
coordinates=$!
train paper dense-fusion paper 0.002 || failed=1
wait $coordinates || failed=1
for network in coordinates paper; do
    for data in "$out/tests" ${real:+"$real"}; do
        for refine in none network; do
            score $network "$data" $refine
        done
    done
done
exit $failed
