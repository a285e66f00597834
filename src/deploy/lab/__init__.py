"""Labs: throwaway machines with systemd and Podman, on hosts with root.

Other packages import `manager`, which starts and stops labs and returns a `Lab` in which programs
run, and `state`, which finds the labs that run. The `supervisor` of a lab is a separate process.
"""
