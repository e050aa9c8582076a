import java.io.Serializable;
import java.util.ArrayList;
import java.util.List;

/** The values that the calls carry, of the same content as the other peers'. */
public final class Values {
    static final int NODES = 511;
    static final int ITEMS = 20;

    private Values() {}

    public record Detail(long version, String region) implements Serializable {}

    public record Small(long id, String name, ArrayList<String> tags, double score, Detail detail) implements Serializable {}

    public record Item(String sku, String title, long quantity, long cents, boolean gift) implements Serializable {}

    public record Receipt(long order, long lines, long cents) implements Serializable {}

    public record Order(long id, String customer, ArrayList<Item> items) implements Serializable {
        Receipt receipt() {
            long cents = 0;
            for (Item item : items) {
                cents += item.quantity() * item.cents();
            }
            return new Receipt(id, items.size(), cents);
        }
    }

    public static final class Node implements Serializable {
        final long value;
        final Node left;
        final Node right;

        Node(long value, Node left, Node right) {
            this.value = value;
            this.left = left;
            this.right = right;
        }
    }

    static Small small() {
        return new Small(4_815_162_342L, "sixteen-letters!", new ArrayList<>(List.of("red", "round", "ripe")), 0.618,
                new Detail(7, "eu-north"));
    }

    static Order order() {
        ArrayList<Item> items = new ArrayList<>();
        for (int i = 0; i < ITEMS; i++) {
            String n = Integer.toString(100_000 + i);
            items.add(new Item("SKU-" + n, "An article with number " + n, i % 3 + 1, 995 + 10 * i, i % 5 == 0));
        }
        return new Order(20_260_101, "Ada Lovelace", items);
    }

    static Node tree(long value) {
        return value > NODES ? null : new Node(value, tree(2 * value), tree(2 * value + 1));
    }

    static boolean isTree(Node n, long value) {
        if (value > NODES) {
            return n == null;
        }
        return n != null && n.value == value && isTree(n.left, 2 * value) && isTree(n.right, 2 * value + 1);
    }

    static byte[] bytes(int size) {
        byte[] b = new byte[size];
        for (int i = 0; i < size; i++) {
            b[i] = (byte) ((i / 8 + 1) * 0x9E3779B97F4A7C15L >>> 8 * (i % 8));
        }
        return b;
    }

    static boolean resemble(byte[] echo, byte[] sent) {
        int n = sent.length;
        return echo.length == n && (n == 0 || echo[0] == sent[0] && echo[n - 1] == sent[n - 1]);
    }
}
