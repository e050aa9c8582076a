import java.rmi.Remote;
import java.rmi.RemoteException;

/** What Java RMI is measured with: the methods of the other peers' services. */
public interface Service extends Remote {
    void nothing() throws RemoteException;

    Values.Small small(Values.Small s) throws RemoteException;

    byte[] bytes(byte[] b) throws RemoteException;

    Values.Receipt order(Values.Order o) throws RemoteException;

    Values.Node tree(Values.Node n) throws RemoteException;

    long callback(Listener l, long n) throws RemoteException;

    Counter counter() throws RemoteException;

    /** Listener is called while a call is under way. */
    interface Listener extends Remote {
        long heard(long n) throws RemoteException;
    }

    /** Counter is a small object with a state. */
    interface Counter extends Remote {
        long add(long n) throws RemoteException;
    }
}
