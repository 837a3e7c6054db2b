/* peer_start.h - starts an agent, beside us or on a store, and answers the descriptor to talk to
 * it. */
#ifndef ZX_NET_PEER_START_H
#define ZX_NET_PEER_START_H

#include "core/net/ssh.h"
#include <sys/types.h>

typedef struct AgentProcess {
    int fd;        /* a socket: its stdin and stdout */
    pid_t pid;     /* 0: on a store */
    int stderr_fd; /* -1: on a store, where ssh logs it */
} AgentProcess;

/* Runs @file here. */
bool agent_start_local(const char *file, AgentProcess *process, GError **error) MUST_USE;

#define AGENT_NONE "ZXAGENT-NONE" /* in place of a greeting: the store has no such program */

typedef struct AgentProgram {
    const char *file;
    char *bytes; /* g_free */
    size_t length;
    char sum[65]; /* SHA-256, hex */
} AgentProgram;
bool agent_program_read(const char *file, AgentProgram *program, GError **error) MUST_USE;

/* Runs the program that has the same bytes on the store, installed or uploaded before. */
bool agent_start_remote(Ssh *ssh, const AgentProgram *program, AgentProcess *process,
                        GError **error) MUST_USE;
bool agent_upload(Ssh *ssh, const char *store, const AgentProgram *program, unsigned timeout_s,
                  GError **error) MUST_USE;

#endif
