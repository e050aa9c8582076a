package refs

// Collector decides how long exports live; package gc implements it. The node tells it what moves. Its methods are called
// from the paths that calls take: they must not block, call the node back, or run user code; they may only note and enqueue.
type Collector interface {
	// Sent tells that a reference to id left for the peer inside the message: whoever sends a reference keeps the object
	// alive until the receiver has it.
	Sent(to ProcessID, in Message, id ID)
	// Received tells that a reference to id arrived from the peer inside the message.
	Received(from ProcessID, in Message, id ID)
	// Dropped tells that this process holds the object no longer: its handle was garbage collected.
	Dropped(id ID)
	// Connected and Disconnected tell that the first connection to the peer is up, or the last one gone.
	Connected(peer ProcessID)
	Disconnected(peer ProcessID)
}

// Message names a message that carried a reference, the same on both sides: the call's number, who called, and the direction.
type Message struct {
	Call   uint64
	Caller ProcessID
	Result bool // the reply rather than the call
}

// keepAll is the Collector of a node without one: everything exported stays alive.
type keepAll struct{}

func (keepAll) Sent(ProcessID, Message, ID)     {}
func (keepAll) Received(ProcessID, Message, ID) {}
func (keepAll) Dropped(ID)                      {}
func (keepAll) Connected(ProcessID)             {}
func (keepAll) Disconnected(ProcessID)          {}
