package Bench::Peers;

# Who is measured.  A name may have an option behind a hyphen, which only
# that peer knows: "ours-join".

use strict;
use warnings;

my %class = (
    ours => 'Ours', nchan => 'Nchan', nats => 'Nats', python => 'Python',
    floor => 'Floor', raw => 'Raw',
);


sub names { sort keys %class }


sub make {
    my ($env, $name, $shape) = @_;

    my ($base, $option) = split /-/, $name, 2;
    my $class = $class{$base} // die "no peer \"$name\"\n";

    require "./bench/peers/$class.pm";

    return "Bench::Peer::$class"->new($env, $shape, $option);
}


1;
