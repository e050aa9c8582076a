package refs

import "time"

// Policies are how calls through a view are made, worked out once. Immutable.
type Policies struct {
	timeout time.Duration // how long a call may take, its repetitions included; 0: what its method and the node say
	chain   []Interceptor // of the policies, and then the node's
}
