"""Real damage to the shards of a built dataset."""

import shutil
from pathlib import Path

from array_record.python import array_record_module

_STEP = 1000  # bytes; a record of the tiny dataset takes 3,000


def damaged_copy(dataset: Path, folder: Path, *rows: int) -> Path:
    """A copy of a dataset in one shard, with one byte flipped within each of these records and no other."""
    shutil.copytree(dataset, folder)
    (shard,) = folder.glob("*.array_record-*")
    content, missing = shard.read_bytes(), set(rows)
    for at in range(_STEP, len(content), _STEP):
        flipped = bytearray(content)
        flipped[at] ^= 0xFF
        shard.write_bytes(flipped)
        bad = unreadable(shard) - (set(rows) - missing)
        if len(bad) == 1 and bad <= missing:
            content, missing = bytes(flipped), missing - bad
        if not missing:
            break
    shard.write_bytes(content)
    assert unreadable(shard) == set(rows)
    return folder


def unreadable(shard: Path) -> set[int]:
    """Records that the shard's own reader refuses."""
    reader = array_record_module.ArrayRecordReader(str(shard), options="readahead_buffer_size:0")
    bad = set()
    for row in range(reader.num_records()):
        try:
            reader.read([row])
        except RuntimeError:
            bad.add(row)
    reader.close()
    return bad
