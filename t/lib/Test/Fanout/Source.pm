package Test::Fanout::Source;

# What the sources must look like: the layers, the style, the exports.  Each
# function returns complaints, a line each.

use strict;
use warnings;

use Exporter qw(import);

our @EXPORT = qw(layers style exports);

# what each folder of src may include; "top" is src itself
my %allowed = (
    core => [qw(core)],
    proto => [qw(core proto)],
    shm => [qw(core shm)],
    hub => [qw(core proto hub)],
    source => [qw(core proto shm hub source)],
    state => [qw(core proto shm hub source state)],
    http => [qw(core proto hub http)],
    top => [qw(core proto shm hub source state http top)],
);

# where no nginx and no system call may be
my %pure = map { $_ => 1 } qw(core proto hub);

# types and pure functions only
my %pure_headers = map { $_ => 1 } qw(
    ctype.h errno.h inttypes.h limits.h math.h stdarg.h stdatomic.h
    stdbool.h stddef.h stdint.h stdio.h stdlib.h string.h sys/types.h
    sys/uio.h xxhash.h
);

# libraries that only some files may know
my @private = (
    [qr{^librdkafka/}, qr{^src/source/}],
    [qr{^hiredis/}, qr{^src/state/(?:ngx_http_fanout_)?redis\.c$}],
    [qr{^cjson/}, qr{^src/proto/(?:fo_)?json\.c$
                     |^src/http/ngx_http_fanout_status\.c$}x],
);

my %ceiling = (c => 1000, h => 200, t => 300);

use constant FUNCTION_MAX => 120;

# the one switch over frames; tables are not counted
my %long_functions = map { $_ => 1 } ();


sub files {
    my ($top, @roots) = @_;

    my @found;
    my @todo = map { "$top/$_" } @roots;

    while (defined(my $path = shift @todo)) {
        if (-d $path) {
            push @todo, glob "$path/*";
        } elsif (-f $path) {
            push @found, substr $path, length($top) + 1;
        }
    }

    return sort @found;
}


sub slurp {
    my ($path) = @_;

    open my $fh, '<', $path or die "$path: $!\n";
    local $/;

    return <$fh> // '';
}


sub layers {
    my ($top) = @_;

    my @bad;

    for my $file (grep { /\.[ch]$/ } files($top, 'src')) {
        my ($layer) = $file =~ m{^src/([^/]+)/};
        $layer //= 'top';

        if (!$allowed{$layer}) {
            push @bad, "$file: no such layer";
            next;
        }

        my $n = 0;

        for my $line (split /\n/, slurp("$top/$file")) {
            $n++;

            my ($open, $name) = $line =~ /^\s*#\s*include\s*([<"])([^>"]+)/
                or next;

            my $why = $open eq '"' ? own($layer, $name, $top)
                                   : foreign($layer, $name, $file);

            push @bad, "$file:$n: \"$name\": $why" if $why;
        }

        if ($pure{$layer} && slurp("$top/$file") =~ /\b(ngx_\w+)/) {
            push @bad, "$file: pure code names $1";
        }
    }

    return @bad;
}


sub own {
    my ($layer, $name, $top) = @_;

    return 'no such file below src' if !-e "$top/src/$name";

    my ($other) = $name =~ m{^([^/]+)/};
    $other //= 'top';

    return if grep { $_ eq $other } @{ $allowed{$layer} };

    return "$layer may not include $other";
}


sub foreign {
    my ($layer, $name, $file) = @_;

    for (@private) {
        my ($library, $where) = @$_;

        if ($name =~ $library) {
            return $file =~ $where ? undef : 'not from this file';
        }
    }

    return if !$pure{$layer} || $pure_headers{$name};

    return "$layer is pure";
}


sub style {
    my ($top) = @_;

    my @bad;

    for my $file (files($top, qw(config Dockerfile .ci bin src t bench
                                 examples conf.example)))
    {
        next if $file =~ m{^t/fuzz/corpus/};
        next if -B "$top/$file";

        my $text = slurp("$top/$file");

        push @bad, map { "$file$_" }
                   text_style($file, $text),
                   $file =~ /\.[ch]$/ ? c_style($text) : ();
    }

    return @bad;
}


sub text_style {
    my ($file, $text) = @_;

    my @bad;
    my $n = 0;
    my ($suffix) = $file =~ /\.(\w+)$/;

    for my $line (split /\n/, $text, -1) {
        $n++;

        push @bad, ":$n: longer than 80 columns" if length $line > 80
            && $file !~ /\.(?:html|md|json)$/;
        push @bad, ":$n: trailing space" if $line =~ /[ \t\r]$/;
        push @bad, ":$n: tab" if $line =~ /\t/ && $file !~ /Makefile$/;
    }

    push @bad, ': no newline at its end' if length $text && $text !~ /\n\z/;
    push @bad, ': empty lines at its end' if $text =~ /\n\n\z/;

    # a header of a unit test is a part of that test

    $suffix = 'c' if $file =~ m{^t/unit/};

    my $max = $ceiling{$suffix // ''};

    push @bad, ': ' . ($n - 1) . " lines, the ceiling is $max"
        if $max && $n - 1 > $max;

    return @bad;
}


sub c_style {
    my ($text) = @_;

    my @bad;

    push @bad, ': does not begin with an empty line' if $text !~ /\A\n/;

    # strings, characters and comments out, lines kept

    $text =~ s{("(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])*')|(/\*.*?\*/)|(//)}
              {defined $1 ? '""' : defined $2 ? blank($2) : '//'}gsex;

    my @lines = split /\n/, $text, -1;
    my ($start, $name);

    for my $i (0 .. $#lines) {
        my $line = $lines[$i];
        my $n = $i + 1;

        push @bad, ":$n: a // comment" if $line =~ m{//};
        push @bad, ":$n: no blank after $1"
            if $line =~ /\b(if|for|while|switch)\(/;

        if ($line =~ /^\{/) {
            $start = $i;
            $name = undef;

            for (my $j = $i - 1; $j >= 0 && $lines[$j] =~ /\S/; $j--) {
                if ($lines[$j] =~ /^(\w+)\(/) {
                    $name = $1;
                    last;
                }
            }

            push @bad, ":$n: a function's type and name share a line"
                if !defined $name;

        } elsif ($line =~ /^\}$/ && defined $start) {
            my $length = body_lines(@lines[$start + 1 .. $i - 1]);
            $name //= '?';

            push @bad, ":$n: $name() has $length lines"
                if $length > FUNCTION_MAX && !$long_functions{$name};

            my ($rest) = join("\n", @lines[$i + 1 .. $#lines])
                         =~ /\A(\n*)\S/;

            push @bad, ":$n: not two empty lines after $name()"
                if defined $rest && length $rest != 2
                   && $lines[$i + 1 + length $rest] !~ /^#/;

            $start = undef;
        }
    }

    return @bad;
}


# without the tables in it
sub body_lines {
    my $n = 0;
    my $table;

    for my $line (@_) {
        if (defined $table) {
            undef $table if $line =~ /^$table\};/;
            next;
        }

        $n++;
        $table = $1 if $line =~ /^(\s+).*=\s*\{$/;
    }

    return $n;
}


sub blank {
    my ($comment) = @_;

    $comment =~ s/[^\n]//g;

    # something stands here: no empty lines

    $comment =~ s/\n/\n;/g;

    return ';' . $comment;
}


# of a built module
sub exports {
    my ($so) = @_;

    my @want = qw(ngx_module_names ngx_module_order ngx_modules);
    my @have = sort map { /(\S+)$/ } `nm -D --defined-only '$so'`;

    return if "@want" eq "@have";

    my %want = map { $_ => 1 } @want;
    my %have = map { $_ => 1 } @have;

    return (map({ "$_ is exported" } grep { !$want{$_} } @have),
            map({ "$_ is not exported" } grep { !$have{$_} } @want));
}


1;
