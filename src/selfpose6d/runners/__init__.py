"""Who works on the shards of a run: processes of this machine, a Ray cluster, or jobs of SLURM."""
