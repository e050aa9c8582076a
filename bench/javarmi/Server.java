import java.net.InetAddress;
import java.net.ServerSocket;
import java.rmi.RemoteException;
import java.rmi.registry.LocateRegistry;
import java.rmi.registry.Registry;
import java.rmi.server.UnicastRemoteObject;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicLong;

/** The server: its service is in a registry of its own, on a port that the system chooses. */
final class Server implements Service {
    static final String NAME = "service";

    private final Registry registry;
    private final int port;

    Server() throws Exception {
        AtomicInteger chosen = new AtomicInteger();
        registry = LocateRegistry.createRegistry(0, null, p -> {
            ServerSocket s = new ServerSocket(p, 0, InetAddress.getLoopbackAddress());
            chosen.set(s.getLocalPort());
            return s;
        });
        port = chosen.get();
        registry.rebind(NAME, UnicastRemoteObject.exportObject(this, 0));
    }

    int port() {
        return port;
    }

    @Override
    public void nothing() {}

    @Override
    public Values.Small small(Values.Small s) {
        return s;
    }

    @Override
    public byte[] bytes(byte[] b) {
        return b;
    }

    @Override
    public Values.Receipt order(Values.Order o) {
        return o.receipt();
    }

    @Override
    public Values.Node tree(Values.Node n) {
        return n;
    }

    @Override
    public long callback(Service.Listener l, long n) throws RemoteException {
        return l.heard(n);
    }

    @Override
    public Service.Counter counter() throws RemoteException {
        return (Service.Counter) UnicastRemoteObject.exportObject(new Count(), 0);
    }

    private static final class Count implements Service.Counter {
        private final AtomicLong sum = new AtomicLong();

        @Override
        public long add(long n) {
            return sum.addAndGet(n);
        }
    }
}
