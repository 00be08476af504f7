"""
Tasks: one module per stage, what Prefect shows, retries and times.

A task is a name, a retry policy and one call. Where the stage runs, in this process or elsewhere, is the launcher's business.
"""
