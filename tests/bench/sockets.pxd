"""The system's calls that the load generator makes: TCP over loopback, epoll, a clock. Nothing here blocks."""

from libc.stdint cimport int64_t, uint16_t, uint32_t

cdef enum:
    WAKE_NS = 10_000             # what a timer is late, and more
    NAP_NS = 1_000_000

cdef extern from "<errno.h>" nogil:
    int errno
    enum: EAGAIN
    enum: EINPROGRESS
    enum: EINTR

cdef extern from "<time.h>" nogil:
    struct timespec:
        long tv_sec
        long tv_nsec
    enum: CLOCK_MONOTONIC
    int clock_gettime(int clock, timespec* at) noexcept

cdef extern from "<unistd.h>" nogil:
    int close(int fd) noexcept

cdef extern from "<sys/socket.h>" nogil:
    enum: AF_INET
    enum: SOCK_STREAM
    enum: SOCK_NONBLOCK
    enum: SOCK_CLOEXEC
    enum: SOL_SOCKET
    enum: SO_ERROR
    ctypedef unsigned int socklen_t
    struct sockaddr:
        pass
    int socket(int domain, int kind, int protocol) noexcept
    int connect(int fd, const sockaddr* to, socklen_t n) noexcept
    int getsockopt(int fd, int level, int name, void* value, socklen_t* n) noexcept
    int setsockopt(int fd, int level, int name, const void* value, socklen_t n) noexcept
    ssize_t recv(int fd, void* into, size_t n, int flags) noexcept
    ssize_t send(int fd, const void* what, size_t n, int flags) noexcept  # Python ignores SIGPIPE

cdef extern from "<sys/uio.h>" nogil:
    struct iovec:
        void* iov_base
        size_t iov_len
    ssize_t writev(int fd, const iovec* parts, int n) noexcept

cdef extern from "<netinet/in.h>" nogil:
    enum: IPPROTO_TCP
    enum: INADDR_LOOPBACK
    struct in_addr:
        uint32_t s_addr
    struct sockaddr_in:
        int sin_family
        uint16_t sin_port
        in_addr sin_addr
    uint16_t htons(uint16_t host) noexcept
    uint32_t htonl(uint32_t host) noexcept

cdef extern from "<netinet/tcp.h>" nogil:
    enum: TCP_NODELAY

cdef extern from "<sys/epoll.h>" nogil:
    enum: EPOLLIN
    enum: EPOLLOUT
    enum: EPOLL_CLOEXEC
    enum: EPOLL_CTL_ADD
    enum: EPOLL_CTL_MOD
    union epoll_data:
        uint32_t u32
    struct epoll_event:
        uint32_t events
        epoll_data data
    int epoll_create1(int flags) noexcept
    int epoll_ctl(int epoll, int what, int fd, epoll_event* event) noexcept
    int epoll_wait(int epoll, epoll_event* found, int most, int timeout_ms) noexcept
    int epoll_pwait2(int epoll, epoll_event* found, int most, const timespec* timeout, const void* signals) noexcept

cdef inline int64_t now_ns() noexcept nogil:
    cdef timespec at
    clock_gettime(CLOCK_MONOTONIC, &at)
    return <int64_t>at.tv_sec * 1_000_000_000 + at.tv_nsec

cdef inline int dial(uint16_t port) noexcept nogil:
    """A socket of 127.0.0.1, connected or about to be; -1: refused, or no socket left."""
    cdef sockaddr_in to
    cdef int on = 1
    cdef int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0)
    if fd < 0:
        return -1
    to.sin_family = AF_INET
    to.sin_port = htons(port)
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK)
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on))
    if connect(fd, <const sockaddr*>&to, sizeof(to)) < 0 and errno != EINPROGRESS:
        close(fd)
        return -1
    return fd

cdef inline bint is_connected(int fd) noexcept nogil:
    """Asked once the socket can be written to."""
    cdef int error = -1
    cdef socklen_t n = sizeof(error)
    return getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &n) == 0 and error == 0

cdef inline int wait_for(int epoll, epoll_event* found, int most, int64_t ns) noexcept nogil:
    """What is there, or comes within `ns` less the time that waking takes; a short wait is none."""
    cdef timespec timeout
    timeout.tv_sec = 0
    timeout.tv_nsec = min(ns, NAP_NS) - WAKE_NS
    if timeout.tv_nsec < WAKE_NS:
        return epoll_wait(epoll, found, most, 0)
    return epoll_pwait2(epoll, found, most, &timeout, NULL)


cdef inline bint watch(int epoll, int what, int fd, uint32_t number, uint32_t events) noexcept nogil:
    cdef epoll_event event
    event.events = events
    event.data.u32 = number
    return epoll_ctl(epoll, what, fd, &event) == 0
