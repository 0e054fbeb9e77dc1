"""Trunk management: where a number goes, which gateway of a provider takes a call, and what becomes
of it.

    step, routed                      what policy asks: which way a call goes, and again where it failed
    inbound, routes, outgoing         from a number to a provider, and a call as a gateway wants it
    walk, provider, health            the gateway that takes it, and the next one
    registrations, probes             registering at gateways, and asking whether they are there
    explaining                        all of that in words, for people

Whoever routes a call begins a `walk` at a provider of `Trunks`, and forwards it to the gateway of
the attempt that it gets, with `try_for_s` for its first response. What the engine says goes back:

    Outcome of the target             walk.failed, which gives the next attempt or the answer
    CallEvent.FIRST_RESPONSE          attempt.reached
    CallEvent.ANSWERED                attempt.answered
    CallEvent.ENDED, GIVEN_UP         walk.end
    Result of OPTIONS                 provider.probed
"""
