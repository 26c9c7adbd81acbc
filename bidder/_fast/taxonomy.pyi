"""Manual of the taxonomies; the table stands in `taxonomy.pyx`, with what it leaves out."""

def codes_of_ours(taxonomy: int, category: str) -> list[str]:
    """Categories of IAB 1.0 that this one of AdCOM's `cattax` list stands for; [] where there is none."""
