"""Stands for slim.model_analyzer: how large the variables are."""


def analyze_vars(variables, print_info=False):
    """(number of values, bytes) of all the variables; `print_info` prints those of each, too."""
    if print_info:
        print("---------\nVariables: name (type shape) [size]\n---------")
    values = size = 0
    for variable in variables:
        own = variable.shape.num_elements() or 0
        values += own
        size += own * variable.dtype.size
        if print_info:
            shape = "x".join(str(length) for length in variable.shape.as_list())
            described = f"({variable.dtype.base_dtype.name}_ref {shape})"
            print(variable.name, described, f"[{own}, bytes: {own * variable.dtype.size}]")
    if print_info:
        print(f"Total size of variables: {values}\nTotal bytes of variables: {size}")
    return values, size
