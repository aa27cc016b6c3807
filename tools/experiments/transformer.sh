#!/bin/sh
# RWKV-4 and a plain Transformer: the same parameters, the same tokens, the
# learning rate of each chosen among three, three seeds. Prints a line of JSON
# for each training; docs/experiments.md has the table.
#
# usage: tools/experiments/transformer.sh TEXT VALIDATION FOLDER
set -eu
text=$1 validation=$2 folder=$3
kinglet=target/release/kinglet
cargo build --release --quiet --package kinglet-host
mkdir -p "$folder"

# size, layers, channels, hidden channels of RWKV-4 and of the Transformer:
# hidden channels make up for the matrices that one has and the other not.
train() { # network size rate seed
    case $2 in
        small) set -- "$1" "$2" "$3" "$4" 2 64 256 288 ;;
        large) set -- "$1" "$2" "$3" "$4" 4 128 512 576 ;;
    esac
    hidden=$7
    head=64
    if [ "$1" = gpt ]; then hidden=$8; head=32; fi
    $kinglet train --text "$text" --validation "$validation" --version "$1" --layers "$5" --channels "$6" \
        --hidden "$hidden" --head-size "$head" --vocab 512 --context 256 --validation-context 256 --steps "${STEPS:-500}" \
        --learning-rate "$3" --weight-decay 0.1 --seed "$4" --fresh --json -o "$folder/model.safetensors" |
        sed "s|^{|{\"network\":\"$1\",\"size\":\"$2\",\"rate\":$3,\"seed\":$4,|"
}

for size in small large; do
    for network in v4 gpt; do
        for rate in 0.001 0.003 0.006; do
            for seed in 1 2 3; do
                # Seeds beyond the first for the best rate alone would save time;
                # all of them show how sure the choice is.
                train $network $size $rate $seed
            done
        done
    done
done
