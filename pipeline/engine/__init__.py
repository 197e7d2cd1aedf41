"""Sharded work that survives: commit, resume and verify, on one machine or many.

files        write once, whole, durably
store        the folder or object store where shards are committed
shards       what a shard is, how it is committed, how a finished folder is read
fingerprint  what makes finished work reusable: parameters, inputs, model and code
worker       what every engine does with a shard: load the model once, work, retry, commit
local        an engine of processes of this machine
ray_cluster  an engine of actors on a Ray cluster
parts        a part of the shards per task of a Slurm array
environment  the engine, device, store and part that SIER_* variables ask for
work         map a function over shards: resume, count, publish
lifecycle    signals, the parent's death, one run at a time
"""
