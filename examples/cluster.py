"""A data set to an archive on a Ray cluster; `ray job submit` or a machine of the cluster runs it.

python examples/cluster.py s3://bucket/pictures s3://bucket/archive 40
"""

from __future__ import annotations

import sys

from vaecodec.ray import encode_dataset


def archive(source: str, target: str, quality: float) -> str:
    """Encode what is not there yet; returns a summary. manifest.write_parquet(...) would keep a row for every image."""
    manifest = encode_dataset(source, target, quality)
    failed, before, after = 0, 0, 0
    for row in manifest.iter_rows():
        if row["error"]:
            print(f"{row['source']}: {row['error']}", file=sys.stderr)
            failed += 1
        else:
            before, after = before + row["bytes_in"], after + row["bytes_out"]
    return f"{manifest.count() - failed} images, {before} -> {after} bytes, {failed} failed"


if __name__ == "__main__":
    print(archive(sys.argv[1], sys.argv[2], float(sys.argv[3])))
