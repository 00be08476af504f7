"""
Kubernetes: a stage as a Job, from the manifest to the report.

``manifest`` says what the Job is, ``ending`` what its state means; both are values. ``cluster`` talks to the API server,
``log`` keeps the place in a pod's log, ``engine`` does the rest: creates or adopts, watches, follows the log, classifies
the end, cleans up. The client library is imported by ``cluster`` alone, and only where stages run as Jobs.
"""
