"""Where a batch lies in the log, read from Spark's checkpoint."""

import json


class Checkpoint:
    """The checkpoint folder of one query, on whatever file system it is."""

    def __init__(self, spark, path):
        self.spark, self.path = spark, path
        jvm = spark._jvm
        self.root = jvm.org.apache.hadoop.fs.Path(path)
        self.files = self.root.getFileSystem(spark._jsc.hadoopConfiguration())

    def read(self, *parts):
        """Lines of a file, None where there is none."""
        path = self.root
        for p in parts:
            path = self.spark._jvm.org.apache.hadoop.fs.Path(path, p)
        if not self.files.exists(path):
            return None
        stream = self.files.open(path)
        try:
            data = bytes(stream.readAllBytes())
        finally:
            stream.close()
        return data.decode().splitlines()

    def offsets(self, batch_id):
        """(ends of the inputs, watermark in ms) of a batch: None where it is not known."""
        lines = self.read("offsets", str(batch_id))
        if lines is None:
            return None, 0
        metadata = json.loads(lines[1]) if len(lines) > 1 else {}
        return [None if line == "-" else json.loads(line) for line in lines[2:]], metadata.get("batchWatermarkMs", 0)

    def place(self, batch_id):
        metadata = self.read("metadata")
        after, watermark = self.offsets(batch_id)
        if metadata is None or after is None:
            raise FileNotFoundError(f"the checkpoint {self.path} has vanished while its query runs")
        before, _ = self.offsets(batch_id - 1)
        return json.loads(metadata[0])["id"], before, after, watermark
