#!/bin/sh
# Train the inter-intra method on the music videos of YouTube-8M and evaluate it.
#
#     sh youtube8m.sh SHARDS [MODEL] [option of `reelscore train` ...]
#
# SHARDS holds frame-level shards, train*.tfrecord and validate*.tfrecord or folders train and validate with them, and
# vocabulary.csv. docs/how-to/youtube8m.md says how to get them; youtube8m_shards.py writes synthetic ones.
# Needs `pip install 'reelscore[train,youtube8m]'`.
set -eu

if [ $# -eq 0 ]; then
    echo "usage: sh youtube8m.sh SHARDS [MODEL] [option of reelscore train ...]" >&2
    exit 2
fi
shards=$1
model=${2:-youtube8m.model}
shift "$(($# > 1 ? 2 : 1))"

# The videos labelled "Music video" (number 14 of the 2018 vocabulary), each as 32 GS samples of its rows: one row from
# the middle of each of 32 equal segments. The rows are stored in the cache folder, which the evaluation uses again.
reelscore train --set youtube8m --data "$shards" --labels "Music video" --method ii --model "$model" "$@"

# R@1, R@5, R@10, R@25 and median rank in both directions, on one half of the validation videos. The other half chose
# the number of epochs.
reelscore evaluate "$model" --set youtube8m --data "$shards" --labels "Music video"
