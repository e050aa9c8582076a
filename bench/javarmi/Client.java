import java.net.Socket;
import java.rmi.registry.LocateRegistry;
import java.rmi.server.RMIClientSocketFactory;
import java.rmi.server.UnicastRemoteObject;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;

/** The client: callers are threads; RMI gives each call under way a connection of its own. */
final class Client {
    private static final int LARGE = 2;

    private interface Call {
        void make(boolean thorough) throws Exception;
    }

    private final int port;
    private final Service service;
    private final Service.Listener successor = new Successor(); // RMI itself holds exported objects weakly
    private final Service.Listener listener;
    private List<Caller> callers;
    private int large;

    Client(int port) throws Exception {
        this.port = port;
        service = (Service) LocateRegistry.getRegistry("127.0.0.1", port).lookup(Server.NAME);
        listener = (Service.Listener) UnicastRemoteObject.exportObject(successor, 0);
    }

    private static final class Successor implements Service.Listener {
        @Override
        public long heard(long n) {
            return n + 1;
        }
    }

    void open(String load, int n, int warm) throws Exception {
        callers = new ArrayList<>();
        large = load.equals("mixed") ? LARGE : 0;
        for (int i = 0; i < n; i++) {
            callers.add(new Caller(call(large > 0 ? "small" : load)));
        }
        for (int i = 0; i < large; i++) {
            callers.add(new Caller(call("1m")));
        }
        run(warm);
    }

    void close() {
        callers = null;
    }

    String run(int millis) throws Exception {
        long cpu = Worker.cpu();
        long start = System.nanoTime();
        long end = start + millis * 1_000_000L;
        List<Thread> threads = new ArrayList<>();
        for (Caller c : callers) {
            Thread t = new Thread(() -> c.run(end));
            t.start();
            threads.add(t);
        }
        for (Thread t : threads) {
            t.join();
        }
        double seconds = (System.nanoTime() - start) / 1e9;
        cpu = Worker.cpu() - cpu;
        Histogram all = new Histogram();
        long calls = 0;
        for (int i = 0; i < callers.size(); i++) {
            Caller c = callers.get(i);
            if (c.failure != null) {
                throw new IllegalStateException(c.failure);
            }
            if (i < callers.size() - large) {
                all.add(c.histogram);
            } else {
                calls += c.histogram.n();
            }
        }
        return String.format("{\"calls\":%d,\"seconds\":%s,\"p50\":%d,\"p99\":%d,\"large\":%d,\"usage\":%s}",
                all.n(), seconds, all.quantile(0.5), all.quantile(0.99), calls, Worker.usage(cpu));
    }

    private static final class Caller {
        private final Call call;
        private boolean called;
        private Histogram histogram;
        private Throwable failure;

        Caller(Call call) {
            this.call = call;
        }

        void run(long end) {
            histogram = new Histogram();
            try {
                long last = System.nanoTime();
                do {
                    call.make(!called);
                    called = true;
                    long now = System.nanoTime();
                    histogram.record(now - last);
                    last = now;
                } while (last < end);
            } catch (Throwable t) {
                failure = t;
            }
        }
    }

    private Call call(String op) throws Exception {
        switch (op) {
            case "null":
                return thorough -> service.nothing();
            case "small": {
                Values.Small sent = Values.small();
                return thorough -> {
                    Values.Small echo = service.small(sent);
                    check(op, echo.id() == sent.id() && (!thorough || echo.equals(sent)));
                };
            }
            case "1k":
                return bytes(op, 1 << 10);
            case "64k":
                return bytes(op, 64 << 10);
            case "1m":
                return bytes(op, 1 << 20);
            case "order": {
                Values.Order sent = Values.order();
                Values.Receipt want = sent.receipt();
                return thorough -> check(op, service.order(sent).equals(want));
            }
            case "tree": {
                Values.Node sent = Values.tree(1);
                return thorough -> check(op, Values.isTree(service.tree(sent), 1));
            }
            case "callback":
                return new Call() {
                    private long n;

                    @Override
                    public void make(boolean thorough) throws Exception {
                        n++;
                        check(op, service.callback(listener, n) == n + 1);
                    }
                };
            case "refs":
                return this::refs;
            case "connect":
                return this::connect;
            default:
                throw new IllegalArgumentException("no such load: " + op);
        }
    }

    private Call bytes(String op, int size) {
        byte[] sent = Values.bytes(size);
        return thorough -> {
            byte[] echo = service.bytes(sent);
            check(op, Values.resemble(echo, sent) && (!thorough || Arrays.equals(echo, sent)));
        };
    }

    private void refs(boolean thorough) throws Exception {
        Service.Counter first = service.counter();
        if (thorough) {
            Service.Counter second = service.counter();
            first.add(2);
            check("refs", !first.equals(second) && second.add(3) == 3);
        }
    }

    /** A connection of its own, which only a socket factory of its own makes RMI open, and a call by it: to the registry. */
    private void connect(boolean thorough) throws Exception {
        Dialler dialler = new Dialler();
        String[] names = LocateRegistry.getRegistry("127.0.0.1", port, dialler).list();
        check("connect", names.length == 1 && names[0].equals(Server.NAME));
        dialler.socket.close();
    }

    private static final class Dialler implements RMIClientSocketFactory {
        private Socket socket;

        @Override
        public Socket createSocket(String host, int port) throws java.io.IOException {
            socket = new Socket(host, port);
            return socket;
        }
    }

    private static void check(String op, boolean right) {
        if (!right) {
            throw new IllegalStateException("wrong answer to " + op);
        }
    }
}
