"""Reading from sockets and writing to them, without waiting and without what libc does beside it.

Where there are threads, libc makes each `recv` and `send` a point at which one may be cancelled, and takes that back.
"""

cdef extern from *:
    """
    #include <sys/socket.h>
    #include <sys/syscall.h>
    #include <unistd.h>

    static inline Py_ssize_t recv_now(int fd, void* data, size_t n) {
        return syscall(SYS_recvfrom, fd, data, n, MSG_DONTWAIT, NULL, NULL);
    }
    static inline Py_ssize_t send_now(int fd, const void* data, size_t n) {
        return syscall(SYS_sendto, fd, data, n, MSG_DONTWAIT | MSG_NOSIGNAL, NULL, 0);
    }
    """
    # How many bytes; 0: the end; -1: `errno` says why, EAGAIN that there is nothing.
    Py_ssize_t recv_now(int fd, void* data, size_t n) nogil
    # How many of them were taken; -1: `errno` says why, EAGAIN that there is no room.
    Py_ssize_t send_now(int fd, const void* data, size_t n) nogil
