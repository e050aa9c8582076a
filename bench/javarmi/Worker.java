import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.lang.management.ManagementFactory;
import java.nio.file.Files;
import java.nio.file.Path;

/** A process under measurement, commanded by lines as the harness's package worker describes them. */
public final class Worker {
    private Worker() {}

    public static void main(String[] args) throws Exception {
        BufferedReader in = new BufferedReader(new InputStreamReader(System.in));
        Client client = null;
        if (args[0].equals("serve")) {
            Server server = new Server();
            System.out.println("{\"addr\":\"" + server.port() + "\"}");
        } else {
            client = new Client(Integer.parseInt(args[1]));
            System.out.println("{}");
        }
        for (String line; (line = in.readLine()) != null;) {
            String answer;
            try {
                answer = obey(client, line.split(" "));
            } catch (Exception e) {
                e.printStackTrace();
                answer = "{\"error\":\"" + e.toString().replaceAll("[\\\\\"\\p{Cntrl}]", " ") + "\"}";
            }
            System.out.println(answer);
        }
        System.exit(0); // RMI's threads would stay
    }

    private static String obey(Client client, String[] words) throws Exception {
        switch (words[0]) {
            case "usage":
                return usage(cpu());
            case "trim":
                System.gc();
                return usage(cpu());
            case "open":
                client.open(words[1], Integer.parseInt(words[2]), Integer.parseInt(words[3]));
                return "{}";
            case "run":
                return client.run(Integer.parseInt(words[1]));
            case "close":
                client.close();
                return "{}";
            default:
                throw new IllegalArgumentException("no such command: " + words[0]);
        }
    }

    static long cpu() {
        return ((com.sun.management.OperatingSystemMXBean) ManagementFactory.getOperatingSystemMXBean()).getProcessCpuTime();
    }

    static String usage(long cpu) {
        return "{\"cpu\":" + cpu + ",\"allocs\":-1,\"rss\":" + resident() + "}";
    }

    /** Resident memory in bytes, -1 where the system does not tell. */
    private static long resident() {
        try {
            for (String line : Files.readAllLines(Path.of("/proc/self/status"))) {
                if (line.startsWith("VmRSS:")) {
                    return Long.parseLong(line.replaceAll("[^0-9]", "")) << 10;
                }
            }
        } catch (java.io.IOException e) {
            return -1;
        }
        return -1;
    }
}
