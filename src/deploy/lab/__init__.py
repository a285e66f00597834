"""Labs: throwaway machines with systemd and Podman, on hosts with root access.

Public modules: `manager`, which starts and stops labs and returns a `Lab`, and `state`, which finds
running labs. The `supervisor` of a lab is a separate process.
"""
