"""What Nexus ought to do, told a second time in plain Python: one room for each of its services.

Each function decides as the service of its name promises: it raises the refusal, having changed
nothing, or changes the model and returns what the caller is to be answered, where that matters.
"""
