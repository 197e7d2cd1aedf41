"""Sharded work that survives: commit, resume and verify, over a pool of processes.

files        write once, whole, durably
shards       what a shard is, how it is committed, how a finished folder is read
fingerprint  what makes finished work reusable: parameters, inputs, model and code
pool         processes that load a model once and die with their parent
work         map a function over shards: resume, count, publish
lifecycle    signals, the parent's death, one run at a time
"""
