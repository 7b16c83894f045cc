"""What each stage needs of a machine: cores, memory, time, and whether it computes on a GPU.

Rules declare these as their resources, and SLURM is asked for them. A stage that is not listed needs what an empty
`Resources` says.
"""

from typing import NamedTuple

from irn.grid import working_size
from irn.records import ImageRecord


class ProcessMemory(NamedTuple):
    """What a process takes while it works on an image, in bytes, by measurement.

    itself: without an image.
    original: for each pixel of the image.
    working: for each pixel of the image at its working size.
    """

    itself: float = 150e6
    original: float = 0
    working: float = 0

    def of(self, record: ImageRecord, max_side: int | None = None) -> float:
        """The bytes for an image, whose working size is at most `max_side` pixels long."""
        height, width = working_size(record.height, record.width, max_side)
        return self.itself + self.original * record.height * record.width + self.working * height * width


class Resources(NamedTuple):
    """What a stage needs.

    cores: the most that it can use.
    memory: MB for all its cores together, and for each core. A second try gets twice as much, a third three times.
    process: what each of its processes takes, where that depends on the size of an image. Where memory does not suffice
        for all processes, fewer are started.
    minutes: the time that it takes at most on VOC.
    gpu: whether it computes on a GPU if there is one.
    """

    cores: int = 1
    memory: tuple[int, int] = (1000, 0)
    process: ProcessMemory = ProcessMemory()
    minutes: int = 20
    gpu: bool = False

    def mem_mb(self, cores: int) -> int:
        """MB of memory at the first try, with a number of cores."""
        base, each = self.memory
        return base + each * cores


# By the name of the stage, or of the function that does it where several stages share one.
RESOURCES = {
    "make_demo_data": Resources(cores=16, minutes=10),
    # An instances file of COCO has half a gigabyte. Each image is opened in full, in a process for each core.
    "build_manifest": Resources(cores=4, memory=(2000, 500)),
    "read_corrections": Resources(memory=(2000, 0)),
    "download_backbone": Resources(memory=(2000, 0), minutes=30),
    "train_cam": Resources(cores=16, memory=(16000, 0), minutes=240, gpu=True),
    "make_cams": Resources(cores=16, memory=(8000, 0), minutes=240, gpu=True),
    "train_objectness": Resources(cores=16, memory=(16000, 0), minutes=120, gpu=True),
    "train_cell_classifier": Resources(cores=16, memory=(16000, 0), minutes=240, gpu=True),
    "refine_cams": Resources(cores=16, memory=(8000, 0), minutes=240, gpu=True),
    "make_ir_labels": Resources(
        cores=16, memory=(1000, 300), process=ProcessMemory(150e6, original=25, working=400), minutes=240
    ),
    "train_irn": Resources(cores=16, memory=(16000, 0), minutes=240, gpu=True),
    "infer_fields": Resources(cores=16, memory=(8000, 0), minutes=240, gpu=True),
    "random_walk": Resources(
        cores=16, memory=(1000, 300), process=ProcessMemory(200e6, original=10, working=40), minutes=120
    ),
    "make_labels": Resources(cores=16, memory=(1000, 500), process=ProcessMemory(150e6, original=60), minutes=120),
    "train_final_network": Resources(cores=16, memory=(16000, 0), minutes=480, gpu=True),
    "predict": Resources(cores=16, memory=(16000, 0), minutes=240, gpu=True),
    # A network gives up to 100 masks for an image.
    "evaluate": Resources(cores=16, memory=(1000, 300), process=ProcessMemory(200e6, original=160), minutes=60),
    "ablation": Resources(
        cores=16, memory=(4000, 500), process=ProcessMemory(200e6, original=80, working=380), minutes=120
    ),
    "find_doubt": Resources(cores=16, memory=(1000, 500), process=ProcessMemory(150e6, original=60), minutes=60),
    "show": Resources(memory=(2000, 0)),
    "suggest_thresholds": Resources(cores=16, memory=(1000, 300), minutes=30),
    # The annotations of all images are kept; 1 GB holds 300,000.
    "export_coco": Resources(cores=16, memory=(2000, 300), minutes=60),
    "export_label_studio": Resources(cores=16, memory=(8000, 300), minutes=60),
    "export_labelme": Resources(cores=16, memory=(1000, 300), minutes=60),
    "export_voc": Resources(cores=16, memory=(1000, 300), minutes=60),
    "export_yolo": Resources(cores=16, memory=(1000, 300), minutes=60),
    "report": Resources(cores=16, memory=(2000, 300), minutes=60),
}
