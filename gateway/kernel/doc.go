// Package kernel is the data path of a node whose bytes nftables moves: which flows there
// are, whose they are, how they end, and what other nodes have to know to carry them on.
// It joins package rules (who may begin a flow) and package conntrack (which there are).
//
//	k := kernel.New(kernel.Deps{Owner: owner, Directory: directory})
//	err := k.Apply(cfg)             // ErrUnable: in words what this host lacks
//	go k.Run(ctx)
//	err = k.Allow(grant)            // noted; k.Forbid(why, grant) is the other way
//	err = k.Settle()                // from now on its client may connect
//	failed, err := k.Inject(ctx, records)   // this node becomes active
//	err = k.Withdraw(ctx)                   // another one has
//
// Who tells whom:
//
//	  Allow, Forbid            Settle      Inject, Withdraw
//	owner ------> what is ---------> rules  ------------------> conntrack
//	  ^           wanted -- loop ----^                          |
//	  |   <-- Opened, Joined, Ended --.                         |
//	  |                               |     events, and a look  |
//	  '-- Kill ---> doomed flows ---> loop <--------------------'
//	                  |                 |
//	                  '-> Kick          '-- Spread, Forget --> directory
//
// Allow, Forbid and Kill only note what is wanted, and may be called under any lock. The
// loop does it soon, and again when nftables refuses; Settle does it now, for all callers
// at once. A grant without a VM is relayed: it is for rules alone, since a socket of this
// host serves its client, and there are no flows of it.
//
// A Flow is a relay.Pair. One goroutine, the loop, hears what happens; what that means is
// decided in life.go by functions of what is known, the event and the time. The loop looks
// at the whole table when it starts, when events were lost, after Inject and Withdraw, and
// every Config.Poll for the counters: by the same code, since an entry that is there or not
// says what its events would have said.
//
// What conntrack does not tell, and what is said instead: docs/decisions/0021-flows.md.
package kernel
