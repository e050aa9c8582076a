package model

// A Rule is a sentence of the protocol that can be taken out.
type Rule uint8

// The rules, by the decision that they belong to.
const (
	// InOrder (D3): ops are applied in the order in which they were queued.
	InOrder Rule = iota
	// Pins (D5): a sender holds what it passes until XACK.
	Pins
	// PinPerCall (D5): a pin is one message's, not that of all messages with the object.
	PinPerCall
	// PinPerDirection (D5): pins of arguments and of results are told apart, since both sides number their calls from 1. (Without
	// it, the XACK of one releases the others, as if their calls had the same number.)
	PinPerDirection
	// Query (D5): after a reconnect a sender asks what became of its pins.
	Query
	// QueryOwed (D5): who still owes an XACK does not give it because it was asked.
	QueryOwed
	// DirtyFirst (D6): DIRTY is queued before the XACK of the message that made it necessary.
	DirtyFirst
	// OwnerFirst (D6): an introducer gets its XACK only when the owner has acknowledged the DIRTY.
	OwnerFirst
	// AckHome (D6): a reference that came home is acknowledged as well.
	AckHome
	// NackUnreachable (D6): an introducer gets an XACK also if the owner is gone.
	NackUnreachable
	// AckAbandoned (D7): who gives up a call acknowledges the reference in the result that it will not read.
	AckAbandoned
	// AckRefused (D7): and so does who cannot decode a message.
	AckRefused
	// RememberRunning (D7): the result of a call that its caller gave up is not pinned.
	RememberRunning
	// RememberUnseen (D7): not even if XACK overtakes the call.
	RememberUnseen
	// GoneIsAnOp (D8): GONE is in the reliable stream.
	GoneIsAnOp
	// AckBehindGone (D8): a DIRTY is acknowledged behind its GONE. What a HELLO says was received acknowledges nothing.
	AckBehindGone
	// Replace (D9): OPEN drops what the owner knew of the generation before.
	Replace
	// AlwaysOpen (D9): OPEN is sent also by who holds nothing.
	AlwaysOpen
	// OneGeneration (D9): ops and messages of another generation are dropped.
	OneGeneration
	// AckOfGeneration (D9): what acknowledges ops of one generation acknowledges nothing of the next.
	AckOfGeneration
	// OnlyOpen (D9): nothing is passed before the peer's OPEN of the generation was read.
	OnlyOpen
	// NoPinForTheGone (D5): nothing is passed to, or pinned for, a peer whose session is over.
	NoPinForTheGone
	// ExpiryReleasesPins (D5): the end of a generation releases its pins, not only what the peer holds.
	ExpiryReleasesPins
	// UpgradeWeak (D10): DIRTY finds an export that nobody holds but that is still alive.
	UpgradeWeak
	// CleanupGeneration (D12): the cleanup of a stub that another one has replaced does nothing.
	CleanupGeneration
	// CancelLinger (D12): a reference that arrives while CLEAN lingers cancels it.
	CancelLinger
	// DirtyBehindClean (D12): a reference that arrives while CLEAN is on its way is DIRTY anew.
	DirtyBehindClean
	// BothRoles (D14): who ends a generation starts anew as a holder as well as as an owner.
	BothRoles
	// NackReleases (D16): an introducer drops its pin also if the owner was not reached.
	NackReleases
	// OneConnection: what came by an old connection is dropped once the next one is in use.
	OneConnection
	// NewID (D1): what is exported again after Unexport has another id.
	NewID

	// NumberedOnce (D3, of Link): a batch is applied if its number is the next one.
	NumberedOnce
	// Resend (D3, of Link): after a reconnect, what the peer has not received is sent again.
	Resend
	// ResentAsSent (D3, of Link): it has the ack that it first had, for answers may stand behind it.
	ResentAsSent
	// HelloIsNoAck (D8, of Link): what a HELLO says was received is not sent again; it acknowledges nothing.
	HelloIsNoAck
	// BatchOfGeneration (D9, of Link): a batch says which generation it is of, and is dropped in another one.
	BatchOfGeneration

	rules = iota
)

// String is the name of the rule.
func (r Rule) String() string {
	return [rules]string{
		InOrder: "InOrder", Pins: "Pins", PinPerCall: "PinPerCall", PinPerDirection: "PinPerDirection", Query: "Query",
		QueryOwed: "QueryOwed", DirtyFirst: "DirtyFirst", OwnerFirst: "OwnerFirst", AckHome: "AckHome",
		NackUnreachable: "NackUnreachable", AckAbandoned: "AckAbandoned", AckRefused: "AckRefused",
		RememberRunning: "RememberRunning", RememberUnseen: "RememberUnseen", GoneIsAnOp: "GoneIsAnOp",
		AckBehindGone: "AckBehindGone", Replace: "Replace", AlwaysOpen: "AlwaysOpen", OneGeneration: "OneGeneration",
		AckOfGeneration: "AckOfGeneration", OnlyOpen: "OnlyOpen", NoPinForTheGone: "NoPinForTheGone",
		ExpiryReleasesPins: "ExpiryReleasesPins", UpgradeWeak: "UpgradeWeak", CleanupGeneration: "CleanupGeneration",
		CancelLinger: "CancelLinger", DirtyBehindClean: "DirtyBehindClean", BothRoles: "BothRoles",
		NackReleases: "NackReleases", OneConnection: "OneConnection", NewID: "NewID", NumberedOnce: "NumberedOnce",
		Resend: "Resend", ResentAsSent: "ResentAsSent", HelloIsNoAck: "HelloIsNoAck", BatchOfGeneration: "BatchOfGeneration",
	}[r]
}

// A Model is the protocol in a world of three processes, with what may happen in it. It is not changed by exploring it.
type Model struct {
	Objects int           // 1 or 2
	Owner   [objects]proc // of each object
	Bounds  Bounds
	NoCalls bool   // references are passed as arguments only
	Coarse  bool   // a stub is found unreachable as soon as it is
	Without []Rule // what is taken out

	out [rules]bool
}

// Bounds say how often things may happen; those that are not small panic. The applications may drop references at will.
type Bounds struct {
	Send     int // references passed, and calls whose result may be one
	Lose     int // connections that break
	Expire   int // leases that run out on one side while both processes live
	Crash    int // processes that crash
	Unexport int // objects that are unexported
	GiveIn   int // introduction timeouts
	Refuse   int // messages that cannot be decoded
}

func (m *Model) keeps(r Rule) bool { return !m.out[r] }

// start returns the first state: every object is held by its owner's application, every session is open.
func (m *Model) start() state {
	b := m.Bounds
	s := state{left: budget{uint8(b.Send), uint8(b.Lose), uint8(b.Expire), uint8(b.Crash), uint8(b.Unexport), uint8(b.GiveIn),
		uint8(b.Refuse)}}
	for p := range procs {
		s.up[p] = true
		for q := range procs {
			s.open[p][q] = p != q
		}
	}
	for x := range m.Objects {
		s.root[x], s.alive[x] = true, true
	}
	if unpack(s.pack(nil)) != s {
		panic("model: the bounds are larger than a state has room for")
	}
	return s
}
