"""Plans enter, the tables of the project leave: each claim about the method as one honest experiment.

An experiment is a module with one function ``conduct(plan, runner) -> Result``: it lists its runs, has them performed
(`run.Runner.perform`; what was done before comes from the cache), may list further ones by what came back, and states
what they show. `named.EXPERIMENTS` is the table of them, `makers.MAKERS` that of the data they may ask for,
`methods.METHODS` that of what may be fitted to it.
"""
