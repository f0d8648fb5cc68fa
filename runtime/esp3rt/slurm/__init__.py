"""Work on a SLURM cluster: requests, jobs, and what becomes of them."""
