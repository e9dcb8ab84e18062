namespace ShardProxy.LocalCluster.Servers;

/// <summary>
/// The shell that stands between this process and one server. It ends the server when this process dies in whatever way,
/// <c>kill -9</c> included: its standard input is a pipe whose other end only this process holds, so the end of that input is
/// the end of this process. The kernel's parent-death signal will not do: it follows the <i>thread</i> that started the child,
/// and pool threads come and go.
/// </summary>
internal static class Watchdog
{
    /// <summary>
    /// Arguments after the script: log file, directory to remove when orphaned (or empty), then the server's command line.
    /// Writes the server's process id as its only line of output and exits with the server's exit code.
    /// </summary>
    public const string Script =
        """
        exec 3<&0 </dev/null
        log=$1 remove=$2
        shift 2
        "$@" >>"$log" 2>&1 3<&- &
        server=$!
        echo "$server"
        {
            read -r _ <&3
            trap '' USR1
            kill -QUIT "$server"
            tries=0
            while kill -0 "$server" && [ "$tries" -lt 50 ]; do
                sleep 0.1
                tries=$((tries + 1))
            done
            kill -KILL "$server"
            if [ -n "$remove" ]; then
                rm -rf "$remove" "$remove".*
                rmdir "${remove%/*}"
            fi
        } >/dev/null 2>&1 &
        guard=$!
        wait "$server"
        code=$?
        kill -USR1 "$guard" 2>/dev/null
        exit "$code"
        """;
}
