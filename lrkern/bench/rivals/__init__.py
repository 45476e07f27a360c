"""What is compared with: limits of the machine, optional libraries."""
