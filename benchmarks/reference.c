/* The C loops that speed is measured against: K arms, rewards U[t & MASK] < p[a] from a table of uniforms made outside.
   Build: cc -O3 -march=native -shared -fPIC, call through ctypes; KK = 10, MASK = table size - 1. Each returns the total reward. */
#include <stdint.h>
#include <math.h>
typedef struct { uint64_t s[4]; } rng;
static inline uint64_t rotl(uint64_t x,int k){return (x<<k)|(x>>(64-k));}
static inline uint64_t nx(rng*r){uint64_t*s=r->s;uint64_t o=rotl(s[0]+s[3],23)+s[0],t=s[1]<<17;
 s[2]^=s[0];s[3]^=s[1];s[1]^=s[2];s[0]^=s[3];s[2]^=t;s[3]=rotl(s[3],45);return o;}
static inline double u01(rng*r){return (double)(nx(r)>>11)*0x1.0p-53;}
static void seedr(rng*r,uint64_t x){for(int i=0;i<4;i++){x+=0x9e3779b97f4a7c15ull;uint64_t z=x;
 z=(z^(z>>30))*0xbf58476d1ce4e5b9ull;z=(z^(z>>27))*0x94d049bb133111ebull;r->s[i]=z^(z>>31);}}
/* ziggurat normal (Marsaglia-Tsang / Doornik, 128 blocks) */
static double ZX[129],ZR[128];
__attribute__((constructor)) static void zig(void){
 double R=3.442619855899,V=9.91256303526217e-3,f=exp(-0.5*R*R);
 ZX[0]=V/f;ZX[1]=R;ZX[128]=0;
 for(int i=2;i<128;i++){ZX[i]=sqrt(-2*log(V/ZX[i-1]+f));f=exp(-0.5*ZX[i]*ZX[i]);}
 for(int i=0;i<128;i++)ZR[i]=ZX[i+1]/ZX[i];}
static inline double norm(rng*r){
 for(;;){uint64_t b=nx(r);int i=b&127;double u=2.0*((double)(b>>11)*0x1.0p-53)-1.0;
  if(fabs(u)<ZR[i])return u*ZX[i];
  if(i==0){double x,y;do{x=log(u01(r)+1e-300)/3.442619855899;y=log(u01(r)+1e-300);}while(-2*y<x*x);
   return u<0?x-3.442619855899:3.442619855899-x;}
  double x=u*ZX[i],f0=exp(-0.5*(ZX[i]*ZX[i]-x*x)),f1=exp(-0.5*(ZX[i+1]*ZX[i+1]-x*x));
  if(f1+u01(r)*(f0-f1)<1.0)return x;}}
static inline double gam(rng*r,double a){ /* a>=1, Marsaglia-Tsang 2000 */
 double d=a-1.0/3.0,c=1.0/sqrt(9*d);
 for(;;){double x=norm(r),v=1+c*x;if(v<=0)continue;v=v*v*v;double u=u01(r);
  if(u<1-0.0331*x*x*x*x)return d*v;
  if(log(u)<0.5*x*x+d*(1-v+log(v)))return d*v;}}
#define KK 10
#define MASK 65535
static inline int amax(const double*v){int b=0;double m=v[0];for(int i=1;i<KK;i++){if(v[i]>m){m=v[i];b=i;}}return b;}
double egreedy(long n,const double*p,const double*U,double eps,uint64_t seed){
 rng r;seedr(&r,seed);double q[KK]={0},c[KK]={0},tot=0;int best=0;
 for(long t=0;t<n;t++){int a;double u=u01(&r);
  if(u<eps){a=(int)(u/eps*KK);if(a>=KK)a=KK-1;}else a=amax(q);
  double rw=U[t&MASK]<p[a];c[a]+=1;q[a]+=(rw-q[a])/c[a];tot+=rw;}
 return tot/n;}
double ucb1(long n,const double*p,const double*U,uint64_t seed){ /* keeps 1/sqrt(n): no sqrt and no division per arm */
 double q[KK]={0},is[KK]={0},c[KK]={0},tot=0;
 for(long t=0;t<n;t++){int a=0;
  if(t<KK)a=(int)t;else{double L=sqrt(2*log((double)t)),m=-1e300;
   for(int i=0;i<KK;i++){double v=q[i]+L*is[i];if(v>m){m=v;a=i;}}}
  double rw=U[t&MASK]<p[a];c[a]+=1;double ic=1/c[a];is[a]=sqrt(ic);q[a]+=(rw-q[a])*ic;tot+=rw;}
 return tot/n;}
double ts(long n,const double*p,const double*U,uint64_t seed){
 rng r;seedr(&r,seed);double A[KK],B[KK],tot=0;for(int i=0;i<KK;i++)A[i]=B[i]=1;
 for(long t=0;t<n;t++){int a=0;double m=-1;
  for(int i=0;i<KK;i++){double x=gam(&r,A[i]),y=gam(&r,B[i]);double s=x/(x+y);if(s>m){m=s;a=i;}}
  double rw=U[t&MASK]<p[a];A[a]+=rw;B[a]+=1-rw;tot+=rw;}
 return tot/n;}
double exp3(long n,const double*p,const double*U,uint64_t seed){ /* anytime: eta_t = sqrt(log K/(t K)) */
 rng r;seedr(&r,seed);double L[16],w[16],tot=0;for(int i=0;i<16;i++)L[i]=i<KK?0:1e300;
 for(long t=0;t<n;t++){double eta=sqrt(log(10.0)/((t+1.0)*KK)),mn=L[0];
  for(int i=1;i<KK;i++)mn=L[i]<mn?L[i]:mn;
  double s=0;for(int i=0;i<KK;i++)w[i]=exp(-eta*(L[i]-mn));
  for(int i=0;i<KK;i++)s+=w[i];
  double u=u01(&r)*s,acc=0;int a=KK-1;for(int i=0;i<KK;i++){acc+=w[i];if(u<acc){a=i;break;}}
  double rw=U[t&MASK]<p[a];L[a]+=(1-rw)*s/w[a];tot+=rw;}
 return tot/n;}
double tsallis(long n,const double*p,const double*U,uint64_t seed){ /* Zimmert & Seldin, alpha=1/2, IW estimator */
 rng r;seedr(&r,seed);double L[KK]={0},w[KK],tot=0,x=0;
 for(long t=0;t<n;t++){double eta=1/sqrt(t+1.0),mn=L[0];
  for(int i=1;i<KK;i++)mn=L[i]<mn?L[i]:mn;
  /* normaliser: sum 4/(eta(L-x))^2 = 1, x < mn; Newton from the last x, kept left of the root */
  double xx=x<mn-2/eta?x:mn-2/eta; 
  for(int it=0;it<50;it++){double s=0,g=0;for(int i=0;i<KK;i++){double d=1/(eta*(L[i]-xx));double z=4*d*d;w[i]=z;s+=z;g+=z*d;}
   double dx=(s-1)/(2*eta*g);xx-=dx;if(fabs(s-1)<1e-9)break;}
  x=xx;
  double u=u01(&r),acc=0;int a=KK-1;for(int i=0;i<KK;i++){acc+=w[i];if(u<acc){a=i;break;}}
  double rw=U[t&MASK]<p[a];L[a]+=(1-rw)/w[a];tot+=rw;}
 return tot/n;}
