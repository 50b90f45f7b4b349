"""The form of one Parquet file: what Synapse serverless can read, by the contract of schemas/evidence.toml."""

import pyarrow.parquet as pq

# What Spark writes as well. DELTA_* and BYTE_STREAM_SPLIT are not known to be read by a serverless pool.
ENCODINGS = {"PLAIN", "RLE", "RLE_DICTIONARY", "PLAIN_DICTIONARY", "BIT_PACKED"}

# Physical and logical type by the type of the contract.
TYPES = {
    "text": ("BYTE_ARRAY", "STRING"),
    "bool": ("BOOLEAN", None),
    "int": ("INT32", None),
    "long": ("INT64", None),
    "time": ("INT64", "TIMESTAMP"),
}

# A page header begins with field 1, the page type: a zigzag integer, 0 for a data page of version 1.
DATA_PAGE_V1 = b"\x15\x00"


def problems_of(path, columns):
    """All problems of a file. `columns` are those of its table in the contract."""
    with pq.ParquetFile(path) as file:
        metadata = file.metadata
        problems = [f"{path}: {problem}" for problem in schema_problems(metadata.schema, columns)]
        with open(path, "rb") as raw:
            for index in range(metadata.num_row_groups):
                problems += [f"{path}: {problem}" for problem in group_problems(metadata.row_group(index), raw)]
    return problems


def schema_problems(schema, columns):
    """Names, order and types."""
    names = [schema.column(index).path for index in range(len(schema.names))]
    wanted = [column["name"] for column in columns]
    if names != wanted:
        missing = [name for name in wanted if name not in names]
        extra = [name for name in names if name not in wanted]
        return [f"columns are not those of the contract: missing {missing}, not known {extra}"]
    problems = []
    for index, column in enumerate(columns):
        found = schema.column(index)
        physical, logical = TYPES[column["type"]]
        if found.physical_type != physical or not is_logical_type(found.logical_type, logical):
            problems.append(f"{column['name']}: {found.physical_type} {found.logical_type}, not {column['type']}")
        if found.max_repetition_level != 0:
            problems.append(f"{column['name']}: nested")
    return problems


def is_logical_type(found, wanted):
    """Compares a logical type. Numbers carry none, or a signed one of full width, which is the same to a reader."""
    described = str(found).replace(" ", "")
    if wanted is None:
        return found.type == "NONE" or (found.type == "INT" and "isSigned=true" in described)
    is_utc_micros = "isAdjustedToUTC=true" in described and "timeUnit=microseconds" in described
    return found.type == wanted and (wanted != "TIMESTAMP" or is_utc_micros)


def group_problems(group, raw):
    """Compression, encodings and page version of one row group."""
    problems = []
    for index in range(group.num_columns):
        chunk = group.column(index)
        if chunk.num_values == 0:
            continue
        if chunk.compression != "SNAPPY":
            problems.append(f"{chunk.path_in_schema}: compression {chunk.compression}")
        if not set(chunk.encodings) <= ENCODINGS:
            problems.append(f"{chunk.path_in_schema}: encodings {chunk.encodings}")
        raw.seek(chunk.data_page_offset)
        if raw.read(2) != DATA_PAGE_V1:
            problems.append(f"{chunk.path_in_schema}: not a data page of version 1")
    return problems
