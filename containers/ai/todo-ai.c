/* Launcher of llama.cpp's server: checks the model, starts the server, checks its health.
 *
 *     todo-ai serve ARGUMENT...   verify the model, start the server with these arguments
 *     todo-ai health              fail if the server hangs
 *     todo-ai threads [FOLDER]    print the number of threads; FOLDER is the control group's
 *
 * A compiled program, since the image has neither a shell nor an interpreter (ADR 70). It stays
 * process 1: it reports READY to systemd, which the server itself does not, and forwards signals.
 */

#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <openssl/evp.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define NAME "todo-ai"
#define SERVER "/usr/bin/llama-server"
#define SERVER_NAME "llama-server"
#define CGROUP "/sys/fs/cgroup"
/* As sysexits.h has it: another start does not help, so the unit does not try one. */
#define BAD_CONFIG 78
#define CHUNK (1 << 20)
#define SHA256_BYTES 32
/* A server that computes answers health requests late, or not at all while its threads wait. */
#define TICK_MS 100
#define ANSWER_TICKS 50
/* A process that only wakes up now and then is seen running in fewer of the ticks. */
#define BUSY_TICKS 5

static const char REQUEST[] = "GET /health HTTP/1.0\r\nHost: localhost\r\n\r\n";

static void fail(const char *cause, const char *detail) {
    fprintf(stderr, NAME ": %s%s\n", cause, detail);
    exit(BAD_CONFIG);
}

static const char *setting(const char *name) {
    const char *value = getenv(name);
    if (value == NULL || *value == '\0')
        fail("the environment lacks ", name);
    return value;
}

/* ---- Model ---------------------------------------------------------------------------------- */

/* Ends the process unless the file has the SHA-256 that the environment names. */
static void verify_model(const char *path, const char *wanted) {
    int file = open(path, O_RDONLY | O_CLOEXEC);
    if (file < 0) {
        fprintf(stderr, NAME ": the model %s cannot be read: %s\n", path, strerror(errno));
        exit(BAD_CONFIG);
    }
    unsigned char *chunk = malloc(CHUNK), digest[SHA256_BYTES];
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    if (chunk == NULL || context == NULL || !EVP_DigestInit_ex(context, EVP_sha256(), NULL))
        fail("no memory for hashing", "");
    ssize_t count;
    while ((count = read(file, chunk, CHUNK)) != 0) {
        if (count < 0 && errno == EINTR)
            continue;
        if (count < 0) {
            fprintf(stderr, NAME ": the model %s cannot be read: %s\n", path, strerror(errno));
            exit(BAD_CONFIG);
        }
        EVP_DigestUpdate(context, chunk, (size_t)count);
    }
    EVP_DigestFinal_ex(context, digest, NULL);
    EVP_MD_CTX_free(context);
    free(chunk);
    close(file);
    char found[2 * SHA256_BYTES + 1];
    for (int at = 0; at < SHA256_BYTES; at++)
        sprintf(found + 2 * at, "%02x", digest[at]);
    if (strcasecmp(found, wanted) != 0) {
        fprintf(stderr, NAME ": the model %s has the SHA-256 %s, expected %s\n", path, found, wanted);
        exit(BAD_CONFIG);
    }
}

/* ---- Threads -------------------------------------------------------------------------------- */

/* The processors that a control group grants, or 0 for no limit. */
static long granted_by(const char *folder) {
    char path[4096];
    long long quota = 0, period = 0;
    snprintf(path, sizeof path, "%s/cpu.max", folder);
    FILE *file = fopen(path, "re");
    if (file == NULL)
        return 0;
    int fields = fscanf(file, "%lld %lld", &quota, &period);
    fclose(file);
    if (fields != 2 || quota <= 0 || period <= 0)
        return 0; /* "max" */
    return quota < period ? 1 : (long)(quota / period);
}

/* More threads than processors are slower: all wait for the one that does not run. */
static long count_threads(const char *folder) {
    cpu_set_t allowed;
    long count = sched_getaffinity(0, sizeof allowed, &allowed) == 0 ? CPU_COUNT(&allowed) : 1;
    long granted = granted_by(folder);
    if (granted > 0 && granted < count)
        count = granted;
    /* The quota of the unit is above the control group that the container sees. */
    const char *most = getenv("AI_MAX_THREADS");
    if (most != NULL && atol(most) > 0 && atol(most) < count)
        count = atol(most);
    return count;
}

/* ---- Requests to the server ------------------------------------------------------------------ */

static int connect_to(const char *path, int type) {
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    size_t length = strlen(path);
    if (length >= sizeof address.sun_path) {
        errno = ENAMETOOLONG;
        return -1;
    }
    memcpy(address.sun_path, path, length);
    if (path[0] == '@') /* systemd's way to write an abstract name */
        address.sun_path[0] = '\0';
    int client = socket(AF_UNIX, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (client < 0)
        return -1;
    socklen_t size = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + length);
    if (connect(client, (struct sockaddr *)&address, size) != 0) {
        int error = errno;
        close(client);
        errno = error;
        return -1;
    }
    return client;
}

static bool answers_within(int client, int timeout_ms, char *answer, size_t size) {
    struct pollfd readable = {.fd = client, .events = POLLIN};
    if (poll(&readable, 1, timeout_ms) != 1)
        return false;
    ssize_t count = recv(client, answer, size - 1, 0);
    answer[count > 0 ? count : 0] = '\0';
    return count > 0;
}

/* Whether the model is loaded. */
static bool is_ready(const char *socket_path) {
    char answer[64];
    int client = connect_to(socket_path, SOCK_STREAM);
    if (client < 0)
        return false;
    bool ready = send(client, REQUEST, sizeof REQUEST - 1, MSG_NOSIGNAL) > 0 &&
                 answers_within(client, 10 * TICK_MS, answer, sizeof answer) &&
                 strstr(answer, " 200 ") != NULL;
    close(client);
    return ready;
}

static void report_ready(void) {
    static const char message[] = "READY=1";
    const char *path = getenv("NOTIFY_SOCKET");
    int client = path == NULL ? -1 : connect_to(path, SOCK_DGRAM);
    if (client < 0)
        return;
    (void)!send(client, message, sizeof message - 1, MSG_NOSIGNAL);
    close(client);
}

/* ---- Health ---------------------------------------------------------------------------------- */

/* The state in a stat file below /proc: the field behind the name, which may hold spaces. */
static char state_in(const char *path) {
    char text[512];
    FILE *file = fopen(path, "re");
    if (file == NULL)
        return '?';
    size_t count = fread(text, 1, sizeof text - 1, file);
    fclose(file);
    text[count] = '\0';
    char *behind = strrchr(text, ')');
    return behind != NULL && behind[1] == ' ' ? behind[2] : '?';
}

/* Whether a thread of a process runs, or waits for a processor or its disk. */
static bool works(const char *process) {
    char path[600];
    snprintf(path, sizeof path, "/proc/%s/task", process);
    DIR *threads = opendir(path);
    if (threads == NULL)
        return false;
    bool found = false;
    for (struct dirent *thread; !found && (thread = readdir(threads)) != NULL;) {
        snprintf(path, sizeof path, "/proc/%s/task/%s/stat", process, thread->d_name);
        char state = thread->d_name[0] == '.' ? '?' : state_in(path);
        found = state == 'R' || state == 'D';
    }
    closedir(threads);
    return found;
}

static bool is_server_busy(void) {
    DIR *processes = opendir("/proc");
    if (processes == NULL)
        return false;
    bool busy = false;
    for (struct dirent *one; !busy && (one = readdir(processes)) != NULL;) {
        char path[300], name[32] = "";
        if (one->d_name[0] < '0' || one->d_name[0] > '9')
            continue;
        snprintf(path, sizeof path, "/proc/%s/comm", one->d_name);
        FILE *file = fopen(path, "re");
        if (file != NULL) {
            if (fgets(name, sizeof name, file) != NULL)
                name[strcspn(name, "\n")] = '\0';
            fclose(file);
        }
        busy = strcmp(name, SERVER_NAME) == 0 && works(one->d_name);
    }
    closedir(processes);
    return busy;
}

/* A server that loads its model or computes is slow, one that sleeps and does not answer hangs. */
static int check_health(const char *socket_path) {
    char answer[64];
    int client = connect_to(socket_path, SOCK_STREAM);
    if (client < 0 && errno != EAGAIN)
        return 0; /* Starting, which TimeoutStartSec= bounds. */
    if (client >= 0)
        (void)!send(client, REQUEST, sizeof REQUEST - 1, MSG_NOSIGNAL);
    int busy = 0;
    for (int tick = 0; tick < ANSWER_TICKS; tick++) {
        busy += is_server_busy();
        if (client < 0) /* Too many connections wait. */
            (void)poll(NULL, 0, TICK_MS);
        else if (answers_within(client, TICK_MS, answer, sizeof answer))
            return 0; /* Any status: 503 while the model is loaded. */
    }
    if (busy >= BUSY_TICKS)
        return 0;
    fprintf(stderr, NAME ": the server is idle and does not answer\n");
    return 1;
}

/* ---- Server ---------------------------------------------------------------------------------- */

static pid_t start_server(char **given, const char *model, const char *socket_path, char *threads) {
    int count = 0;
    while (given[count] != NULL)
        count++;
    char **arguments = calloc((size_t)count + 8, sizeof *arguments);
    if (arguments == NULL)
        fail("no memory for the arguments", "");
    char *own[] = {SERVER,   "--model", (char *)model, "--host", (char *)socket_path,
                   "--threads", threads};
    memcpy(arguments, own, sizeof own);
    memcpy(arguments + 7, given, (size_t)count * sizeof *given);
    pid_t server = fork();
    if (server < 0)
        fail("the server cannot be started: ", strerror(errno));
    if (server == 0) {
        sigset_t none;
        sigemptyset(&none);
        sigprocmask(SIG_SETMASK, &none, NULL);
        execv(SERVER, arguments);
        fail("cannot start " SERVER ": ", strerror(errno));
    }
    free(arguments);
    return server;
}

/* Waits for the server's end, and returns its exit code; 0 after a stop that was requested. */
static int supervise(pid_t server, const char *socket_path, const sigset_t *signals) {
    bool ready = false, stopping = false;
    for (;;) {
        struct timespec tick = {.tv_nsec = TICK_MS * 1000000L};
        int received = ready ? sigwaitinfo(signals, NULL) : sigtimedwait(signals, NULL, &tick);
        if (received == SIGTERM || received == SIGINT) {
            stopping = true;
            kill(server, SIGTERM);
        }
        int status;
        for (pid_t ended; (ended = waitpid(-1, &status, WNOHANG)) > 0;) {
            if (ended != server)
                continue;
            if (stopping)
                return 0;
            return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
        }
        if (!ready && !stopping && is_ready(socket_path)) {
            ready = true;
            report_ready();
        }
    }
}

static void leave(int number) {
    (void)number;
    _exit(0);
}

static int serve(char **arguments) {
    const char *model = setting("AI_MODEL_FILE"), *socket_path = setting("AI_SOCKET");
    char threads[24];
    sigset_t signals;
    sigemptyset(&signals);
    sigaddset(&signals, SIGTERM);
    sigaddset(&signals, SIGINT);
    sigaddset(&signals, SIGCHLD);
    /* Without handlers the kernel keeps both signals from process 1. */
    signal(SIGTERM, leave);
    signal(SIGINT, leave);
    verify_model(model, setting("AI_MODEL_SHA256"));
    snprintf(threads, sizeof threads, "%ld", count_threads(CGROUP));
    /* The backend has this process's group; nobody else may connect. */
    umask(0007);
    /* A killed server leaves its socket behind, and could not listen on it again. */
    if (unlink(socket_path) != 0 && errno != ENOENT)
        fail("the socket of a former server cannot be removed: ", strerror(errno));
    fprintf(stderr, NAME ": %s, threads: %s\n", model, threads);
    sigprocmask(SIG_BLOCK, &signals, NULL);
    return supervise(start_server(arguments, model, socket_path, threads), socket_path, &signals);
}

int main(int count, char **arguments) {
    const char *command = count > 1 ? arguments[1] : "";
    if (strcmp(command, "serve") == 0)
        return serve(arguments + 2);
    if (strcmp(command, "health") == 0)
        return check_health(setting("AI_SOCKET"));
    if (strcmp(command, "threads") == 0) {
        printf("%ld\n", count_threads(count > 2 ? arguments[2] : CGROUP));
        return 0;
    }
    fail("needs one of: serve, health, threads", "");
}
