"""What comes out: the table with its targets, the headline, comparisons, files."""
