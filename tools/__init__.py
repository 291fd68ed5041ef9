"""The project's own tools, run by the Makefile and by .ci/run; no part of the product.

`requirements` compiles the pins, `bench` runs benchmarks and writes their page, `verdict` judges a run of the tests,
`demo` shows the product at work.
"""
