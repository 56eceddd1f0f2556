"""What run_tf1.py gives to programs written for TensorFlow 1, a file for each module it stands for.

importing.py makes the program see it, program.py runs the program, check.py lists its names. The
rest stands for modules that TensorFlow 2 no longer has.
"""
