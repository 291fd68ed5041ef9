"""`make demo`: a whole Footfall on this machine, and beside what it counts what it should have counted.

Read `__main__` first, which tells the story; then `installation`, which starts broker, cloud and box as the processes
that they are in a venue; `children`, those processes; `in_view`, who is there by the box's live words; `shop`, the
truth of the made-up shop, and `floor_plan`, its plan; `screen`, what is printed.
"""

__all__: list[str] = []
