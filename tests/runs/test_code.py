from beliefgeo.runs.code import _program, training_code


def test_prose_does_not_change_the_digest_of_the_code_and_code_does():
    source = 'def f(x):\n    """Add one."""\n    return x + 1  # to it\n'
    assert _program(source) == _program('def f(x):\n    """Add 1 to x."""\n    return x + 1\n')
    assert _program(source) != _program(source.replace("+ 1", "+ 2")) and len(training_code()) == 64
